// SPDX-License-Identifier: Apache-2.0

package gridtest_test

import (
	"testing"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/grid/gridtest/nettest"
)

// TestNetSuite: the network in memory is one as package grid wants it.
func TestNetSuite(t *testing.T) {
	nettest.Run(t, inMemory)
}

// TestTopicSuite: so are its topics.
func TestTopicSuite(t *testing.T) {
	nettest.RunTopics(t, inMemory)
}

var inMemory = nettest.Options{Bubble: true, New: func(*testing.T) func(string) grid.Net {
	c := gridtest.New(gridtest.Options{})
	return func(node string) grid.Net { return c.Node(node) }
}}
