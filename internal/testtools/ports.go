// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreePorts is the first of n ports in a row on 127.0.0.1 that nobody listens at. They are below those that Linux gives to connections, of
// which tests have many: so a server that was killed has its port again when it is started again.
func FreePorts(n int) (first int, err error) {
	const from, to = 10_000, 32_000
next:
	for range 100 {
		first = from + rand.IntN(to-from)
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				continue next
			}
			_ = l.Close()
		}
		return first, nil
	}
	return 0, fmt.Errorf("no %d ports in a row of %d to %d are free", n, from, to)
}
