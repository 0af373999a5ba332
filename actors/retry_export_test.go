// SPDX-License-Identifier: Apache-2.0

package actors

// Unreturned is err as user code has returned it, if it has.
func Unreturned(err error) error {
	if r, ok := err.(*returnedError); ok {
		return r.error
	}
	return err
}
