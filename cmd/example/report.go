// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// report prints the table of a run that answered requests within elapsed.
// latencies has one entry a request; report sorts it.
func report(out io.Writer, latencies []time.Duration, elapsed time.Duration) error {
	slices.Sort(latencies)
	// The latencies are those of a burst: a request also waits for all that
	// were sent before it.
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "requests\ttime\trequests/s\tp50\tp90\tp99\tmax\t")
	fmt.Fprintf(table, "%d\t%v\t%.0f\t%v\t%v\t%v\t%v\t\n",
		len(latencies), short(elapsed), float64(len(latencies))/elapsed.Seconds(),
		short(percentile(latencies, 50)), short(percentile(latencies, 90)),
		short(percentile(latencies, 99)), short(percentile(latencies, 100)))
	return table.Flush()
}

// percentile returns the smallest value of sorted, which is not empty, that
// p percent of them do not exceed; p is from 1 to 100.
func percentile(sorted []time.Duration, p int) time.Duration {
	rank := (len(sorted)*p + 99) / 100
	return sorted[rank-1]
}

// short rounds d to three digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}
