// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"context"
	"runtime/pprof"
)

// ForgetLabels takes the pprof labels from the goroutine, which has those of
// whoever made it. It is for goroutines that go on to work for others: profiles
// would name the one who happened to need a goroutine first.
func ForgetLabels() { pprof.SetGoroutineLabels(context.Background()) }
