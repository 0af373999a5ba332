// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	role := flag.String("role", "", "serve: run our server; generate: run one measurement against -addr. Without it all are run")
	addr := flag.String("addr", "", "of the server, for -role generate")
	measure := flag.String("measure", "", "which, for -role generate")
	clients := flag.Int("clients", 1000, "of the measurement, for -role generate")
	reference := flag.String("reference", filepath.Join("socketio", "internal", "clients"), "folder whose node_modules has socket.io; \"\": leave npm's server out")
	zishang := flag.String("zishang", filepath.Join("socketio", "internal", "load", "zishang"), "folder of the app on zishang520's server; \"\": leave it out")
	idle := flag.Int("idle", 10_000, "idle clients to hold")
	hold := flag.Duration("hold", 30*time.Second, "for how long")
	flag.Parse()
	var err error
	switch *role {
	case "serve":
		err = serve()
	case "generate":
		err = generate(*addr, *measure, *clients, *hold)
	default:
		err = compare(rivals{*reference, *zishang}, *idle, *hold)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// measurement is one row.
type measurement struct {
	name    string
	clients int
}

// compare runs every measurement against each server, a new process each.
func compare(r rivals, idle int, hold time.Duration) error {
	servers := []string{"ours"}
	if r.reference != "" {
		servers = append(servers, "reference")
	}
	if r.zishang != "" {
		binary, err := buildZishang(r.zishang)
		if err != nil {
			return err
		}
		defer os.Remove(binary)
		r.zishang = binary
		servers = append(servers, "zishang520")
	}
	// The echo thrice, one server after the other: its p99 is the most sensitive
	// to what else the machine does.
	rows := []measurement{
		{"connect", 2000}, {"echo", 1000}, {"echo", 1000}, {"echo", 1000}, {"flood", 1000},
		{"broadcast", 1000}, {"broadcast", 5000}, {"idle", 5000}, {"idle", idle},
	}
	fmt.Printf("%-10s %7s  %-10s  %s\n", "measure", "clients", "server", "result")
	for _, m := range rows {
		for _, name := range servers {
			line, err := one(name, r, m, hold)
			if err != nil {
				return fmt.Errorf("%s, %d clients, %s: %w", m.name, m.clients, name, err)
			}
			fmt.Printf("%-10s %7d  %-10s  %s\n", m.name, m.clients, name, line)
		}
	}
	return nil
}

// one runs one measurement.
func one(server string, r rivals, m measurement, hold time.Duration) (string, error) {
	s, err := startServer(server, r)
	if err != nil {
		return "", err
	}
	defer s.stop()
	if m.name != "idle" || m.clients <= 5000 {
		hold = 5 * time.Second
	}
	before := s.usage()
	began := time.Now()
	g, err := startGenerator(s.addr, m.name, strconv.Itoa(m.clients), hold.String())
	if err != nil {
		return "", err
	}
	defer g.stop()
	result, err := g.line()
	if err != nil {
		return "", err
	}
	after, gen, elapsed := s.usage(), g.usage(), time.Since(began)
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / elapsed.Seconds() }
	line := fmt.Sprintf("%s; CPU server %.0f %%, generator %.0f %%", result, share(after.cpu-before.cpu), share(gen.cpu))
	if m.name == "idle" {
		line += fmt.Sprintf("; %.1f KiB a client (RSS %d to %d MiB)", float64(after.rss-before.rss)/1024/float64(m.clients), before.rss>>20, after.rss>>20)
	}
	return line, nil
}
