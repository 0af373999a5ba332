// SPDX-License-Identifier: Apache-2.0

package consumer_test

import "github.com/protoloop/protoloop/consumer"

// newConsumer returns a consumer with options that are good.
func newConsumer(open consumer.Open, handle consumer.Handler, o consumer.Options) *consumer.Consumer {
	c, err := consumer.New(open, handle, o)
	if err != nil {
		panic(err)
	}
	return c
}
