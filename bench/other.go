// SPDX-License-Identifier: Apache-2.0

package main

import "regexp"

// ofOther ends the name of what was measured in the other build.
const ofOther = "@other"

// unwatched are the rows of what must cost nothing more than before there was anybody to look: nothing is attached there.
var unwatched = regexp.MustCompile(`^(burst/(submit|request|await)|resume/|workers/burst-|trace/nothing)`)

// otherRules compare each case with the same of the other build.
func otherRules(cases []*benchCase) (rs []rule) {
	for _, c := range cases {
		r := rule{of: c.name, against: c.name + ofOther, as: "the other build", figure: wall}
		strict := unwatched.MatchString(c.name)
		if strict {
			r.limit = 1.02
		}
		allocs, bytes := r, r
		allocs.figure, allocs.limit, allocs.zero = moreAllocs, 0, strict
		bytes.figure, bytes.limit, bytes.zero = moreBytes, 0, strict
		rs = append(rs, r, allocs, bytes)
	}
	return rs
}
