// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
)

func ExampleGroup() {
	inTask(func(t *actors.Task) error {
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error {
			err := t.Sleep(time.Hour)
			fmt.Println("the long one:", err)
			return err
		})
		g.Go(func(t *actors.Task) error {
			if err := t.Yield(); err != nil {
				return err
			}
			return errors.New("sold out")
		})
		fmt.Println("the group:", g.Wait())
		return nil
	})
	// Output:
	// the long one: actors: canceled: sold out
	// the group: sold out
}

func ExampleGroup_Cancel() {
	inTask(func(t *actors.Task) error {
		g := t.NewGroup()
		defer func() { g.Cancel(); fmt.Println("the rest has ended:", g.Wait()) }()
		g.Go(func(t *actors.Task) error { return t.Sleep(time.Hour) })
		return errors.New("the order is invalid")
	})
	// Output:
	// the rest has ended: <nil>
	// the order is invalid
}
