// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"flag"
	"strconv"
)

// AtATime has n tests of a package run at a time that call t.Parallel, unless -parallel says otherwise: for tests that wait, as for
// elections, and compute little. By default as many run as there are processors. It is for TestMain.
func AtATime(n int) {
	if !flag.Parsed() {
		flag.Parse()
	}
	is := false
	flag.Visit(func(f *flag.Flag) { is = is || f.Name == "test.parallel" })
	if !is {
		_ = flag.Set("test.parallel", strconv.Itoa(n))
	}
}
