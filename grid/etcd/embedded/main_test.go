// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"testing"

	"github.com/protoloop/protoloop/actortest"
)

func TestMain(m *testing.M) { actortest.Main(m) }
