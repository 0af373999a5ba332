// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"testing"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/statetest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

func TestMemory(t *testing.T) { statetest.Run(t, new(state.Memory)) }
