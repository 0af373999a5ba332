package main

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// ringWorkers is how many pairs of workers await each other's answers.
const ringWorkers = 16

// ringCases are the same awaits without, and with, a worker in the system that
// has a MaxInFlight and nothing to do: what the search for rings costs those
// who can be in none.
func ringCases() []*benchCase {
	return []*benchCase{
		{"rings/none", fmt.Sprintf("handlers of %d workers await other workers", ringWorkers), burst, func(e *env) (run, error) { return e.awaitPairs() }},
		{"rings/bounded", "the same beside one idle worker with MaxInFlight", burst, func(e *env) (run, error) {
			pid, err := actors.Spawn(e.ctx, e.sys.Root, "bounded", func(*actors.Worker) error { return nil }, actors.Options{MaxInFlight: 1})
			if err != nil {
				return nil, err
			}
			e.onClose(func() error { return e.stop([]*actor.PID{pid}) })
			return e.awaitPairs()
		}},
	}
}

func ringRules() []rule {
	return []rule{{of: "rings/bounded", against: "rings/none", as: "none bounded", figure: wall}}
}

// awaitPairs is a burst of requests over workers, each of which awaits one of
// its own.
func (e *env) awaitPairs() (run, error) {
	var fronts [ringWorkers]*actor.PID
	for i := range fronts {
		back, err := e.worker(fmt.Sprintf("back-%d", i))
		if err != nil {
			return nil, err
		}
		if fronts[i], err = e.spawn(fmt.Sprintf("front-%d", i), askOn(back)); err != nil {
			return nil, err
		}
	}
	return e.requests(func(i int) *actor.PID { return fronts[i%len(fronts)] }), nil
}
