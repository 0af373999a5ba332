// SPDX-License-Identifier: Apache-2.0

package remind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/grid"
)

// Reminder is a message that the worker of a key is sent when its time has come.
type Reminder struct {
	// Kind and ID are the key's, as in [grid.Grid.PID].
	Kind, ID string
	// Name tells the reminders of a key apart.
	Name string
	// At is when it is due; in whatever zone, it is an instant. What is over is due at once.
	// Zero: in Every from now.
	At time.Time
	// Every has it due again at At + Every, At + 2 Every and so on. At least a second; 0: it
	// is due once.
	Every time.Duration
	// Message is one that the kind accepts.
	Message proto.Message
}

func (r Reminder) key() Key { return Key{r.Kind, r.ID, r.Name} }

// minEvery is the shortest Every: JetStream looks what is due four times a second.
const minEvery = time.Second

// Validate reports all mistakes at once, each an [*actors.OptionError].
func (r Reminder) Validate() error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "remind: Reminder", Field: field, Value: value, Why: why})
	}
	if field, why := r.key().findMistake(); field != "" {
		bad(field, nil, why)
	}
	switch {
	case r.At.IsZero() && r.Every == 0:
		bad("At", nil, "is missing")
	case !r.At.IsZero() && !time.Unix(0, r.At.UnixNano()).Equal(r.At):
		bad("At", r.At, "is centuries away")
	}
	if r.Every != 0 && r.Every < minEvery {
		bad("Every", r.Every, fmt.Sprintf("is less than %v", minEvery))
	}
	if r.Message == nil || !r.Message.ProtoReflect().IsValid() {
		bad("Message", nil, "is missing")
	}
	return errors.Join(errs...)
}

// entry is what is stored of it.
func (r Reminder) entry() (Entry, error) {
	if err := r.Validate(); err != nil {
		return Entry{}, err
	}
	if r.At.IsZero() {
		r.At = time.Now().Add(r.Every)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
	if err != nil {
		return Entry{}, fmt.Errorf("remind: the message of %s: %w", r.key(), err)
	}
	return Entry{r.key(), r.At.UTC(), r.Every, string(r.Message.ProtoReflect().Descriptor().FullName()), data}, nil
}

// Options are those of the reminders of a program. Store is needed.
type Options struct {
	// Store is where they are kept.
	Store Store
	// Grid has the keys that are reminded. nil: this program sets reminders and delivers none.
	Grid *grid.Grid
	// Consumer is how they are delivered. What is zero there is the consumer's own default, but
	// for Name: "reminders"; MaxTries: 20, which with the default Retry takes half an hour at least; Timeout, of
	// one try: a minute; Kind: the kind of the key.
	Consumer consumer.Options
}

const (
	defaultName     = "reminders"
	defaultMaxTries = 20
	defaultTimeout  = time.Minute
)

// Reminders sets the reminders of a store, and delivers them. Any goroutine may call its methods.
type Reminders struct {
	store    Store
	grid     *grid.Grid
	consumer *consumer.Consumer
}

// New returns the reminders of a store. They are delivered by the worker of its Props.
func New(o Options) (*Reminders, error) {
	if o.Store == nil {
		return nil, &actors.OptionError{Of: "remind: New", Field: "Options.Store", Why: "is missing"}
	}
	r := &Reminders{store: o.Store, grid: o.Grid}
	c := o.Consumer
	c.Name = cmp.Or(c.Name, defaultName)
	c.MaxTries = cmp.Or(c.MaxTries, defaultMaxTries)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	if c.Kind == nil {
		c.Kind = func(m consumer.Message) string { e, _ := EntryOf(m); return e.Kind }
	}
	var err error
	r.consumer, err = consumer.New(o.Store.Open, r.deliver, c)
	return r, err
}

// Set stores r in the place of the reminder of its kind, id and name, if there is one, and returns
// when it will not be lost.
func (rs *Reminders) Set(ctx context.Context, r Reminder) error {
	e, err := r.entry()
	if err != nil {
		return err
	}
	if err := rs.store.Set(ctx, e); err != nil {
		return fmt.Errorf("remind: set %s: %w", e.Key, err)
	}
	return nil
}

// Cancel removes a reminder, and reports whether there was one. When it has returned no delivery
// begins any more; one that has begun goes on.
func (rs *Reminders) Cancel(ctx context.Context, kind, id, name string) (bool, error) {
	k := Key{kind, id, name}
	if field, why := k.findMistake(); field != "" {
		return false, &actors.OptionError{Of: "remind: Cancel", Field: field, Why: why}
	}
	was, err := rs.store.Cancel(ctx, k)
	if err != nil {
		return false, fmt.Errorf("remind: cancel %s: %w", k, err)
	}
	return was, nil
}

// List is the reminders of a key, by name, with those that are due and not done. At of each is when it
// is due next, in UTC. A Message of a type that this program does not know is nil.
func (rs *Reminders) List(ctx context.Context, kind, id string) ([]Reminder, error) {
	entries, err := rs.store.List(ctx, kind, id)
	if err != nil {
		return nil, fmt.Errorf("remind: list %s/%s: %w", kind, id, err)
	}
	all := make([]Reminder, len(entries))
	for i, e := range entries {
		all[i] = Reminder{Kind: e.Kind, ID: e.ID, Name: e.Name, At: e.At, Every: e.Every}
		if m, err := e.message(); err == nil {
			all[i].Message = m
		}
	}
	return all, nil
}

// Props are those of a worker that delivers what is due, such as a supervisor's child. It stops
// before the grid if it is behind it in the list of children.
func (rs *Reminders) Props(opts ...actor.PropsOption) *actor.Props {
	rs.needGrid("Props")
	return rs.consumer.Props(opts...)
}

// Setup makes a worker deliver beside what else it does: see [consumer.Consumer.Setup].
func (rs *Reminders) Setup(w *actors.Worker) error {
	rs.needGrid("Setup")
	return rs.consumer.Setup(w)
}

// Stats is the account of what was delivered.
func (rs *Reminders) Stats() consumer.Stats { return rs.consumer.Stats() }

func (rs *Reminders) needGrid(what string) {
	if rs.grid == nil {
		panic("remind: " + what + " called without Options.Grid: there are no keys to deliver to")
	}
}

// deliver has the worker of the key handle what is due.
func (rs *Reminders) deliver(t *actors.Task, m consumer.Message) error {
	e, err := EntryOf(m)
	if err != nil {
		return consumer.Poison(err)
	}
	// It may have waited for long since it was received, as while the breaker was open.
	stands, err := actors.AwaitOffload(t, func(ctx context.Context) (bool, error) { return rs.store.Stands(ctx, m) }, actors.Name("remind: look"))
	if errors.Is(err, consumer.ErrPoison) {
		return err
	}
	if err != nil {
		return consumer.Unavailable(fmt.Errorf("remind: look whether %s stands: %w", e.Key, err))
	}
	if !stands {
		return nil
	}
	msg, err := e.message()
	if err != nil {
		return err
	}
	_, err = actors.Ask[any](t, rs.grid.PID(e.Kind, e.ID), msg)
	if errors.Is(err, actors.ErrStopping) { // the grid is drained: another program delivers it, or the next of this
		return consumer.Unavailable(err)
	}
	return err // what a key cannot do now is its own: no outage of all
}
