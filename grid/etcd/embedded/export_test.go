// SPDX-License-Identifier: Apache-2.0

package embedded

// WithCheapPasswords is o for a server that checks passwords quickly.
func WithCheapPasswords(o Options) Options {
	o.cheapPasswords = true
	return o
}
