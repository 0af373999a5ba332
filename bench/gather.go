// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// gatherCases gather the results of many.
func gatherCases() []*benchCase {
	var cs []*benchCase
	for _, n := range []int{few, many} {
		cs = append(cs,
			&benchCase{fmt.Sprintf("gather/waits-%d", n), thousands(n) + " Submits, a Wait each", n, submitBurst(n)},
			&benchCase{fmt.Sprintf("gather/all-%d", n), thousands(n) + " Submits, one All", n, allBurst(n)},
			&benchCase{fmt.Sprintf("gather/errgroup-%d", n), thousands(n) + " goroutines of an errgroup", n, errgroupBurst(n)},
			&benchCase{fmt.Sprintf("gather/conc-%d", n), thousands(n) + " functions of a conc pool", n, concGather(n)})
	}
	return cs
}

func gatherRules() []rule {
	all, waits := fmt.Sprintf("gather/all-%d", many), fmt.Sprintf("gather/waits-%d", many)
	return []rule{
		{of: all, against: fmt.Sprintf("gather/all-%d", few), as: "the one of 100", figure: wall, limit: 2},
		{of: all, figure: allocs, limit: 3}, // two of them are Submit's
		{of: all, against: waits, as: "a Wait each", figure: wall},
		{of: all, against: fmt.Sprintf("gather/errgroup-%d", many), as: "errgroup", figure: wall},
		{of: all, against: fmt.Sprintf("gather/conc-%d", many), as: "conc", figure: wall},
	}
}

func allBurst(size int) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := e.worker("worker")
		if err != nil {
			return nil, err
		}
		fs := make([]*actors.Future[int], size)
		return func(n int) (sum int, err error) {
			for range n / size {
				for i := range fs {
					fs[i] = actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) { return i, nil })
				}
				vs, err := futures.All(fs...).Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				for _, v := range vs {
					sum += v
				}
			}
			return sum, nil
		}, nil
	}
}

func errgroupBurst(size int) func(*env) (run, error) {
	return func(*env) (run, error) {
		results := make([]int, size)
		return func(n int) (sum int, err error) {
			for range n / size {
				var g errgroup.Group
				for i := range results {
					g.Go(func() error { results[i] = i; return nil })
				}
				if err := g.Wait(); err != nil {
					return 0, err
				}
				for _, v := range results {
					sum += v
				}
			}
			return sum, nil
		}, nil
	}
}

func concGather(size int) func(*env) (run, error) {
	return func(*env) (run, error) {
		return func(n int) (sum int, err error) {
			for range n / size {
				p := pool.NewWithResults[int]().WithErrors()
				for i := range size {
					p.Go(func() (int, error) { return i, nil })
				}
				vs, err := p.Wait()
				if err != nil {
					return 0, err
				}
				for _, v := range vs {
					sum += v
				}
			}
			return sum, nil
		}, nil
	}
}
