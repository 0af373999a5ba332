// SPDX-License-Identifier: Apache-2.0

//go:build !go1.28

package loop

import _ "unsafe" // for go:linkname

// hasGoyield: goyield is the runtime's.
const hasGoyield = true

// goyield is runtime.Gosched, but that the goroutine goes to the end of the run queue of its own processor. The runtime keeps it, as
// it is, for others who link to it (https://go.dev/issue/67401). A Go that has not been looked at uses what is in
// goyield_other.go: no user's build is to fail for want of it.
//
//go:linkname goyield runtime.goyield
func goyield()
