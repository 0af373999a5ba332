// SPDX-License-Identifier: Apache-2.0

package supervisor

import "time"

// RestartRecord is a restart of a child: one that a supervisor has decided on.
type RestartRecord struct {
	At      time.Time // when it was decided on
	Child   string
	Err     error         // why; nil: it had ended without one
	Stack   []byte        // of a panic
	Task    string        // that failed; empty if unknown
	Attempt int           // since it was last up for long; 1 is the first
	Delay   time.Duration // before it
	With    []string      // names of the siblings that restarted, too
	Counted bool          // against MaxRestarts
}

// maxRestartRecords is how many restarts a supervisor remembers.
const maxRestartRecords = 32

// restartRing tracks the last restarts of a supervisor's children. It is guarded by the
// node's mu.
type restartRing struct {
	total   int64
	records []RestartRecord // without their stacks, which are those of the errors
	next    int             // where the next one goes, once it is full
}

func (r *restartRing) addRecord(e RestartRecord) {
	r.total++
	if len(r.records) < maxRestartRecords {
		r.records = append(r.records, e)
		return
	}
	r.records[r.next] = e
	r.next = (r.next + 1) % maxRestartRecords
}

// recordRestart notes a restart of the child, which its last failure, if it has failed, has led
// to. On the loop.
func (k *child) recordRestart(e RestartRecord) {
	f := k.failed()
	e.Child, e.Attempt = k.name, f.delay.attempts
	if f.last != nil {
		e.Task = f.last.Task
	}
	n := k.core.node
	n.mu.Lock()
	defer n.mu.Unlock()
	n.restarts.addRecord(e)
}

// listRecords returns them, the oldest first.
func (r *restartRing) listRecords() []RestartRecord {
	out := make([]RestartRecord, 0, len(r.records))
	out = append(out, r.records[r.next:]...)
	return append(out, r.records[:r.next]...)
}
