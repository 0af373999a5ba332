// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"reflect"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/snapshot"
)

// TestWorkerHasAllFields: the fields of internal/snapshot's Worker are those of this package's, in
// this order, and each is copied. So are those of what is in it, and of the others that a look
// shows.
func TestWorkerHasAllFields(t *testing.T) {
	var lent snapshot.Worker
	from, to := reflect.TypeFor[snapshot.Worker](), reflect.TypeFor[Worker]()
	if from.NumField() != to.NumField() {
		t.Fatalf("%d fields, want %d", to.NumField(), from.NumField())
	}
	fillIn(t, reflect.ValueOf(&lent).Elem())
	shown := reflect.ValueOf(workerOf(&lent))
	for i := range from.NumField() {
		f := from.Field(i)
		if got := to.Field(i).Name; got != f.Name {
			t.Errorf("field %d is %s, want %s", i, got, f.Name)
			continue
		}
		want := reflect.ValueOf(lent).Field(i)
		if !sameValue(shown.Field(i), want) {
			t.Errorf("%s is %v, want %v", f.Name, shown.Field(i), want)
		}
	}
}

// TestShownHasAllFields is that of the others.
func TestShownHasAllFields(t *testing.T) {
	var group snapshot.Group
	var root snapshot.Root
	for _, v := range []any{&group, &root} {
		fillIn(t, reflect.ValueOf(v).Elem())
	}
	for _, c := range []struct{ got, want any }{
		{groupOf(group), group},
		{groupIn(groupOf(group)), group},
		{rootOf(root), root},
	} {
		if !sameValue(reflect.ValueOf(c.got), reflect.ValueOf(c.want)) {
			t.Errorf("%+v, want %+v", c.got, c.want)
		}
	}
}

// fillIn gives all that is in v a value that is not zero.
func fillIn(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case *actor.PID:
		v.Set(reflect.ValueOf(actor.NewPID("there", "worker")))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillIn(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillIn(t, v.Index(i))
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Array:
		for i := range v.Len() {
			fillIn(t, v.Index(i))
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(7)
	default:
		t.Fatalf("no value for a %v", v.Type())
	}
}

// sameValue compares values of types that may have other names, but the same fields.
func sameValue(got, want reflect.Value) bool {
	if got.Kind() != want.Kind() {
		return false
	}
	switch got.Kind() {
	case reflect.Pointer:
		if got.Type() != want.Type() {
			return !got.IsNil() && sameValue(got.Elem(), want.Elem())
		}
	case reflect.Slice:
		if got.Len() != want.Len() {
			return false
		}
		for i := range got.Len() {
			if !sameValue(got.Index(i), want.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		if got.Type() == want.Type() {
			break
		}
		for i := range want.NumField() {
			f := got.FieldByName(want.Type().Field(i).Name)
			if !f.IsValid() || !sameValue(f, want.Field(i)) {
				return false
			}
		}
		return got.NumField() == want.NumField()
	}
	return reflect.DeepEqual(got.Interface(), want.Interface())
}
