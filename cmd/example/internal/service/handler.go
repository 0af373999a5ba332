// SPDX-License-Identifier: Apache-2.0

package service

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// handler handles the messages of the queue: each is acked when the list has
// its item in the log. One whose body is no item is poison.
func handler(list changer, pace *pace) consumer.Handler {
	return consumer.JSON(func(t *actors.Task, i Item, m consumer.Message) error {
		if i.Key == "" {
			i.Key = m.Key
		}
		defer pace.end(i.Key)
		i, err := i.checked()
		if err != nil {
			return consumer.Poison(err)
		}
		return list.put(t, i)
	})
}
