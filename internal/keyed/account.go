// SPDX-License-Identifier: Apache-2.0

package keyed

import "github.com/protoloop/protoloop/internal/supervision"

// AddAccount has the account of w, an *actors.Worker whose setup runs, have what make's result returns, too, when w's supervisor asks for it. make is
// called once for an actor: its later incarnations keep what it has made. Neither may block or panic. It panics for what when setup has
// returned. It is set by package actors.
var AddAccount func(w any, what string, make func() func() supervision.Ended)
