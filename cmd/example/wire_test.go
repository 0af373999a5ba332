// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// wire is a Socket.IO client that does hardly anything, so that it is the
// server that is measured, and not a hundred clients on the same cores: it
// decodes no JSON and allocates nothing for a packet.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
	out  []byte // frames that are not sent yet
}

// newWire connects and returns when the server has said that it is connected.
func newWire(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &wire{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	if err := w.connect(addr); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *wire) connect(addr string) error {
	if _, err := fmt.Fprintf(w.conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr); err != nil {
		return err
	}
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %s", resp.Status)
	}
	for _, begins := range []string{"0", "40"} {
		packet, err := w.read()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(packet, []byte(begins)) {
			return fmt.Errorf("got packet %q, want one that begins with %q", packet, begins)
		}
		if begins == "0" {
			w.write([]byte("40"))
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// write appends a text frame to what flush sends.
func (w *wire) write(packet []byte) {
	const masked = 0x80 // with a mask of zeros
	if len(packet) < 126 {
		w.out = append(w.out, 0x81, masked|byte(len(packet)))
	} else {
		w.out = append(w.out, 0x81, masked|126, byte(len(packet)>>8), byte(len(packet)))
	}
	w.out = append(w.out, 0, 0, 0, 0)
	w.out = append(w.out, packet...)
}

func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	return err
}

// read returns the next packet, which is good until the one after that.
func (w *wire) read() ([]byte, error) {
	for {
		var head [8]byte
		if _, err := io.ReadFull(w.r, head[:2]); err != nil {
			return nil, err
		}
		first, n := head[0], int(head[1])
		if more := map[int]int{126: 2, 127: 8}[n]; more > 0 {
			if _, err := io.ReadFull(w.r, head[:more]); err != nil {
				return nil, err
			}
			n = 0
			for _, b := range head[:more] {
				n = n<<8 | int(b)
			}
		}
		if cap(w.buf) < n {
			w.buf = make([]byte, n)
		}
		w.buf = w.buf[:n]
		if _, err := io.ReadFull(w.r, w.buf); err != nil {
			return nil, err
		}
		switch {
		case first != 0x81:
			return nil, fmt.Errorf("a frame that begins with %x", first)
		case string(w.buf) == "2": // ping
			w.write([]byte("3"))
			if err := w.flush(); err != nil {
				return nil, err
			}
		default:
			return w.buf, nil
		}
	}
}
