package supervisor

import (
	"cmp"
	"math"
	"time"
)

// intensity tracks the restarts of one supervisor in a sliding window.
//
// OTP: "If more than MaxR number of restarts occur in the last MaxT seconds,
// the supervisor terminates all the child processes and then itself." A restart
// that is exactly that old still counts there, and here.
type intensity struct {
	most   int
	within time.Duration
	at     []time.Time
}

// unlimited, as the most restarts there may be, is no limit.
const unlimited = math.MaxInt

func newIntensity(most int, within time.Duration) intensity {
	return intensity{most: max(cmp.Or(most, 1), 0), within: cmp.Or(within, 5*time.Second)}
}

// spend notes a restart; false: it is one too many.
func (i *intensity) spend(now time.Time) bool {
	if i.most == unlimited {
		return true
	}
	first := 0
	for first < len(i.at) && now.Sub(i.at[first]) > i.within {
		first++
	}
	i.at = append(i.at[first:], now)
	return len(i.at) <= i.most
}
