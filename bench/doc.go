// SPDX-License-Identifier: Apache-2.0

// Command bench prints one table that sets protoloop beside what a Go
// developer would use instead: goroutines and channels, Proto.Actor's own
// RequestFuture, and worker pools.
//
//	go run ./bench            # from the root of the repository
//	go run ./bench -check     # exit code 1 if a required ratio is missed
//	go run ./bench -run burst/
//
//	go run ./bench -computing 2 # beside two goroutines that compute
//	go run ./bench -other old   # and compare each case with old, a bench of another commit
//
// All cases take turns in one run, so that whatever else the machine does
// affects all of them alike. In each round every case runs in a process of its
// own. A ratio divides two times of the same round, and the table has its median
// over the rounds. The other build's cases take turns with these, too: that is how one sees what a change costs
// where nobody uses it.
//
// The same cases are benchmarks of this package, for profiles:
//
//	go test -bench 'Cases/burst/submit$' -cpuprofile cpu.out
package main
