// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// generate runs one measurement and prints a line. The process is ended by its
// parent, which looks at both processes first.
func generate(addr, measure string, n int, hold time.Duration) error {
	var line string
	var err error
	switch measure {
	case "connect":
		line, err = connectRate(addr, n)
	case "echo":
		line, err = echo(addr, n, 200*time.Millisecond)
	case "flood":
		line, err = echo(addr, n, 0)
	case "broadcast":
		line, err = broadcast(addr, n)
	case "idle":
		line, err = idle(addr, n, hold)
	default:
		err = fmt.Errorf("no measurement %q", measure)
	}
	if err != nil {
		return err
	}
	fmt.Println(line)
	select {}
}

// dialers connect at a time.
const dialers = 32

func dialAll(addr string, n int) ([]*client, error) {
	clients := make([]*client, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range dialers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && failed.Load() == nil; i = next.Add(1) - 1 {
				c, err := dial(addr)
				if err != nil {
					failed.Store(&err)
					return
				}
				clients[i] = c
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return clients, nil
}

func connectRate(addr string, n int) (string, error) {
	// A warm-up, so that it is not the compiling of JavaScript that is measured.
	warm, err := dialAll(addr, 500)
	if err != nil {
		return "", err
	}
	for _, c := range warm {
		_ = c.nc.Close()
	}
	time.Sleep(time.Second)
	began := time.Now()
	if _, err := dialAll(addr, n); err != nil {
		return "", err
	}
	return fmt.Sprintf("%.0f connects/s", float64(n)/time.Since(began).Seconds()), nil
}

// latencies collects durations from many goroutines.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(list []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, list...)
}

func (l *latencies) String() string {
	slices.Sort(l.all)
	at := func(p float64) time.Duration {
		return l.all[min(int(p*float64(len(l.all))), len(l.all)-1)].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v", at(0.5), at(0.99))
}

const (
	warmUp  = 2 * time.Second
	measure = 8 * time.Second
)

// echo has each client ask for an acknowledgement every so often; without a
// pause at once when the last one has come.
func echo(addr string, n int, every time.Duration) (string, error) {
	clients, err := dialAll(addr, n)
	if err != nil {
		return "", err
	}
	var all latencies
	var failed atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for i, c := range clients {
		wg.Go(func() {
			due := began.Add(every * time.Duration(i) / time.Duration(n)) // spread out
			var own []time.Duration
			for k := 0; ; k++ {
				if every > 0 {
					time.Sleep(time.Until(due))
					due = due.Add(every)
				}
				sent := time.Now()
				if sent.Sub(began) > warmUp+measure {
					break
				}
				id := strconv.Itoa(k)
				err := c.send([]byte("42" + id + `["echo","hello, this is a message of some length to echo"]`))
				if err == nil {
					var got []byte
					if got, err = c.next(); err == nil && !bytes.HasPrefix(got, []byte("43"+id+"[")) {
						err = fmt.Errorf("got %q", got)
					}
				}
				if err != nil {
					failed.Add(1)
					break
				}
				if sent.Sub(began) > warmUp {
					own = append(own, time.Since(sent))
				}
			}
			all.add(own)
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		return "", fmt.Errorf("%d clients failed", n)
	}
	return fmt.Sprintf("%.0f echoes/s, %v", float64(len(all.all))/measure.Seconds(), &all), nil
}

// inFlight broadcasts are under way at a time: enough to keep the server busy.
const inFlight = 4

// broadcast has one client ask for broadcasts to all; each carries the time at
// which it was asked for.
func broadcast(addr string, n int) (string, error) {
	clients, err := dialAll(addr, n)
	if err != nil {
		return "", err
	}
	rounds := 400_000 / n
	skip := rounds / 5 // warm-up
	var all latencies
	arrived := make([]atomic.Int64, rounds)
	tokens := make(chan struct{}, rounds)
	for range inFlight {
		tokens <- struct{}{}
	}
	stamps := make([]time.Time, rounds)
	var failed atomic.Int64
	var wg sync.WaitGroup
	var began atomic.Int64
	for _, c := range clients {
		wg.Go(func() {
			own := make([]time.Duration, 0, rounds)
			for k := range rounds {
				got, err := c.next()
				if err != nil || !bytes.HasPrefix(got, []byte(`42["news","`+strconv.Itoa(k)+":")) {
					failed.Add(1) // lost, or out of order
					for range rounds {
						tokens <- struct{}{}
					}
					return
				}
				if k >= skip {
					own = append(own, time.Since(stamps[k]))
				}
				if arrived[k].Add(1) == int64(n) {
					if k == skip-1 {
						began.Store(time.Now().UnixNano())
					}
					tokens <- struct{}{}
				}
			}
			all.add(own)
		})
	}
	text := bytes.Repeat([]byte("x"), 100)
	for k := range rounds {
		<-tokens
		stamps[k] = time.Now()
		if err := clients[0].send([]byte(fmt.Sprintf(`42["broadcast","%d:%s"]`, k, text))); err != nil {
			return "", err
		}
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		return "", fmt.Errorf("%d clients did not get every broadcast in order", n)
	}
	elapsed := time.Since(time.Unix(0, began.Load()))
	return fmt.Sprintf("%.0f deliveries/s, %v", float64(len(all.all))/elapsed.Seconds(), &all), nil
}

// idle connects and stays, and counts who is still there.
func idle(addr string, n int, hold time.Duration) (string, error) {
	clients, err := dialAll(addr, n)
	if err != nil {
		return "", err
	}
	var lost atomic.Int64
	for _, c := range clients {
		go func() {
			if _, err := c.next(); err != nil {
				lost.Add(1)
			}
		}()
	}
	time.Sleep(hold)
	return fmt.Sprintf("%d held for %v, %d lost", n-int(lost.Load()), hold, lost.Load()), nil
}
