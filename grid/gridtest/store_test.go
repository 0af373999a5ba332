// SPDX-License-Identifier: Apache-2.0

package gridtest_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/grid/gridtest/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Cluster {
		c := gridtest.New(gridtest.Options{Latency: 20 * time.Millisecond, Seed: rand.Uint64()}) // so that what was given up comes late
		return storetest.Cluster{Shortest: time.Second, Node: func(t *testing.T, name string) grid.Store { return c.Node(name) }}
	}, synctest.Test)
}
