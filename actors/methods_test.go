// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestMethods: what users may call on the types that they work with is what is
// meant to be there. A method that an embedded type brings along would be, too.
func TestMethods(t *testing.T) {
	context := reflect.TypeFor[actor.Context]()
	for _, test := range []struct {
		of   any
		own  string       // sorted
		from reflect.Type // an interface whose methods it has besides, or nil
	}{
		{(*actors.Task)(nil), "After Await AwaitOffload Cleanup Context Every Exit Go NewGroup OnSchedule Scope SetContext Sibling Sleep SleepOrStop StopReason StopRequested Stopping UntilStop Yield", context},
		{(*actors.Worker)(nil), "Background Main OnStop Sibling Task", context},
		{(*actors.Future[int])(nil), "Cancel CancelCause Done Inside OnDone PipeTo Ready TryResult Wait", nil}, // Inside: for package futures,
		{(*actors.Promise[int])(nil), "Future Reject Resolve", nil},
		{(*actors.Group)(nil), "Cancel CancelCause Go Member SetLimit Wait", nil},
	} {
		typ := reflect.TypeOf(test.of)
		var own []string
		for m := range methods(typ) {
			if test.from != nil {
				if _, theirs := test.from.MethodByName(m); theirs {
					continue
				}
			}
			own = append(own, m)
		}
		if want := strings.Fields(test.own); !slices.Equal(own, want) {
			t.Errorf("the methods of %v are\n\t%v\nwant\n\t%v", typ, own, want)
		}
		if test.from != nil && !typ.Implements(test.from) {
			t.Errorf("%v is no %v", typ, test.from)
		}
	}
}

// methods are the names of a type's exported methods, sorted.
func methods(typ reflect.Type) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range typ.NumMethod() {
			if !yield(typ.Method(i).Name) {
				return
			}
		}
	}
}
