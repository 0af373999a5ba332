// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// client is a Socket.IO client by WebSocket, as bare as it can be.
type client struct {
	nc  net.Conn
	br  *bufio.Reader
	buf []byte
}

// dial connects to the main namespace.
func dial(addr string) (*client, error) {
	nc, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, br: bufio.NewReaderSize(nc, 1024)}
	if err := c.handshake(addr); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) handshake(addr string) error {
	_ = c.nc.SetDeadline(time.Now().Add(30 * time.Second))
	defer func() { _ = c.nc.SetDeadline(time.Time{}) }()
	_, err := fmt.Fprintf(c.nc, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n", addr)
	if err != nil {
		return err
	}
	status, err := c.br.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 101 ") {
		return fmt.Errorf("handshake: %s", strings.TrimSpace(status))
	}
	for line := ""; line != "\r\n"; {
		if line, err = c.br.ReadString('\n'); err != nil {
			return err
		}
	}
	for _, want := range []string{"0{", "40{"} {
		if want == "40{" {
			if err := c.send([]byte("40")); err != nil {
				return err
			}
		}
		got, err := c.next()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(got, []byte(want)) {
			return fmt.Errorf("got %q, want %s…", got, want)
		}
	}
	return nil
}

// send writes a text frame, masked by zeros.
func (c *client) send(packet []byte) error {
	frame := make([]byte, 0, len(packet)+8)
	if len(packet) < 126 {
		frame = append(frame, 0x81, 0x80|byte(len(packet)))
	} else {
		frame = append(frame, 0x81, 0x80|126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(packet)))
	}
	frame = append(frame, 0, 0, 0, 0)
	_, err := c.nc.Write(append(frame, packet...))
	return err
}

// next returns the next packet, which is valid until the next call. Pings are
// answered.
func (c *client) next() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c.br, head[:]); err != nil {
			return nil, err
		}
		n := int(head[1] & 0x7f)
		switch n {
		case 126:
			if _, err := io.ReadFull(c.br, head[:]); err != nil {
				return nil, err
			}
			n = int(binary.BigEndian.Uint16(head[:]))
		case 127:
			return nil, fmt.Errorf("a frame of over 64 KiB")
		}
		if cap(c.buf) < n {
			c.buf = make([]byte, n)
		}
		c.buf = c.buf[:n]
		if _, err := io.ReadFull(c.br, c.buf); err != nil {
			return nil, err
		}
		if n == 1 && c.buf[0] == '2' {
			if err := c.send([]byte("3")); err != nil {
				return nil, err
			}
			continue
		}
		return c.buf, nil
	}
}
