// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"errors"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/internal/futuretest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// For the examples.
var (
	discard = futuretest.Discard
	none    = futuretest.None
)

var (
	errLeft  = errors.New("left")
	errRight = errors.New("right")
)

// waiting is how many wait for f, by a callback or in an await.
func waiting[T any](f *actors.Future[T]) int { return f.Inside(combine.Key{}).Waiting() }
