// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// faultsVariable has tests make handlers fail: a share of their runs, from 0
// to 1, half before the item is in the log and half after. It is no setting of
// the service and in no help.
const faultsVariable = "PROTOLOOP_TEST_FAULTS"

// slowVariable has each of their runs wait for that long first. No item is written early then,
// which would not wait.
const slowVariable = "PROTOLOOP_TEST_SLOW"

// slowness is what slowVariable says, 0 but in tests. It is read once.
var slowness = sync.OnceValue(func() time.Duration {
	d, _ := time.ParseDuration(os.Getenv(slowVariable))
	return d
})

// blockVariable has each write to the list hold up its worker for that long: a handler that sleeps, and does
// not await, as a console is to find it.
const blockVariable = "PROTOLOOP_TEST_BLOCK"

// blocking is the handler as blockVariable says.
func blocking[Q any](h func(*actors.Task, Q) error) func(*actors.Task, Q) error {
	d, _ := time.ParseDuration(os.Getenv(blockVariable))
	if d <= 0 {
		return h
	}
	return func(t *actors.Task, q Q) error {
		time.Sleep(d)
		return h(t, q)
	}
}

var errFault = errors.New("a fault that a test has asked for")

func faulty(h consumer.Handler, logger *slog.Logger) consumer.Handler {
	if d := slowness(); d > 0 {
		quick := h
		h = func(t *actors.Task, m consumer.Message) error {
			logger.Info("a handler waits, as a test has asked", "key", m.Key)
			if err := t.Sleep(d); err != nil {
				return err
			}
			return quick(t, m)
		}
	}
	share, err := strconv.ParseFloat(os.Getenv(faultsVariable), 64)
	if err != nil || share <= 0 {
		return h
	}
	return func(t *actors.Task, m consumer.Message) error {
		dice := rand.Float64()
		if dice < share/4 {
			panic(errFault)
		}
		if dice < share/2 {
			return errFault
		}
		if err := h(t, m); err != nil {
			return err
		}
		if dice < share {
			return errFault
		}
		return nil
	}
}
