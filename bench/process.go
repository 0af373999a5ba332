// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// processFlag makes this program measure one case and print the sample. It is
// not for users.
//
// Each measurement has a process of its own, because a case marks the one it
// runs in: the Go runtime keeps a record of each goroutine that there ever
// was and looks at all of them in each collection. After a case with 100,000
// of them the others ran up to 30 % slower, or faster where they begin
// goroutines themselves.
const processFlag = "measure-process"

// spawn measures a case in a new process; one whose name ends with ofOther in that of another build.
func (o options) spawn(name string) (s sample, err error) {
	program, err := os.Executable()
	if err != nil {
		return s, err
	}
	if of, is := strings.CutSuffix(name, ofOther); is {
		name, program = of, o.other
	}
	cmd := exec.Command(program, "-"+processFlag, name, "-sample", o.sample.String())
	if o.computing > 0 { // which another build may not know
		cmd.Args = append(cmd.Args, "-computing", strconv.Itoa(o.computing))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	return s, json.Unmarshal(out.Bytes(), &s)
}

// runProcess is the other side of spawn.
func (o options) runProcess() error {
	defer startComputing(o.computing)()
	s, err := measureNamed(o.process, o.sample)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

func measureNamed(name string, d time.Duration) (sample, error) {
	for _, g := range groups() {
		for _, c := range g.cases {
			if c.name == name {
				return measure(c, d)
			}
		}
	}
	for _, c := range memoryCases() {
		if c.name == name {
			return c.measure(c.n)
		}
	}
	for _, c := range neighbourCases() {
		if c.name == name {
			return c.measure(d)
		}
	}
	for _, c := range fairCases() {
		if c.name == name {
			return c.measure(fairQuestions)
		}
	}
	return sample{}, fmt.Errorf("no case %q", name)
}
