// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"time"
)

// How an answer is sent: who takes a part of it within some seconds gets all of it, however long that is.
const (
	writeTimeout = 10 * time.Second
	writePart    = 64 << 10
)

// send writes to a client, and lets it go if it does not read: it would hold a goroutine and what was to be
// written for as long as it likes. The deadline is that of this request alone.
func send(w http.ResponseWriter, b []byte) error {
	rc := http.NewResponseController(w)
	for {
		n := min(len(b), writePart)
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // not all servers have deadlines, such as a test's
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}
