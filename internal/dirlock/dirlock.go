// SPDX-License-Identifier: Apache-2.0

// Package dirlock keeps the servers that are embedded off each other's files: two on the same would destroy them.
package dirlock

import "errors"

// ErrInUse is returned by [Lock] if another has the folder.
var ErrInUse = errors.New("is in use")
