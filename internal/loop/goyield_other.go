// SPDX-License-Identifier: Apache-2.0

//go:build go1.28

package loop

import "runtime"

const hasGoyield = false

func goyield() { runtime.Gosched() }
