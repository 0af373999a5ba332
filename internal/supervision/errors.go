// SPDX-License-Identifier: Apache-2.0

package supervision

import "errors"

// Package supervisor exports these. They are here because package actors knows them, too:
// a worker without a parent decides by itself, and their names cross to other machines.
var (
	ErrDoNotRestart = errors.New("supervisor: do not restart")
	ErrEscalate     = errors.New("supervisor: escalate")
)
