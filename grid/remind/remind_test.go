// SPDX-License-Identifier: Apache-2.0

package remind_test

import (
	"testing"
	"testing/synctest"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/grid/remind"
	"github.com/protoloop/protoloop/grid/remind/remindtest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

func TestMemory(t *testing.T) {
	remindtest.Run(t, func(*testing.T) remindtest.Stores {
		m := remind.NewMemory(memory.Options{})
		return remindtest.Stores{One: m, Two: m, Dead: func(*testing.T) (all []consumer.Message) {
			for _, d := range m.Dead() {
				one := *d.Message
				one.Attributes = consumer.DeadAttributes(d)
				all = append(all, one)
			}
			return all
		}}
	}, func(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) })
}
