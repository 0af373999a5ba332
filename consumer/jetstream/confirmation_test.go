package jetstream

import (
	"encoding/json"
	"testing"
)

// FuzzPlainSequence: what is read without encoding/json is what that reads.
func FuzzPlainSequence(f *testing.F) {
	for _, data := range []string{
		`{"stream":"ITEMS","seq":7}`, `{"stream":"ITEMS","seq":123456789012345678}`, `{"stream":"ITEMS","seq":7,"duplicate": true}`,
		`{"stream":"a\\","seq":1,"x":"","seq":2}`, `{"stream":"","seq":07}`, `{"stream":"ITEMS","seq":}`, `{"error":{"code":400},"stream":"ITEMS","seq":0}`,
		`{"stream":"ITEMS","domain":"d","seq":7}`, `{"stream":"ITEMS","seq":18446744073709551616}`, ``,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, ok := plainSequence(data)
		if !ok {
			return
		}
		var ack struct {
			Error any    `json:"error"`
			Seq   uint64 `json:"seq"`
		}
		if err := json.Unmarshal(data, &ack); err != nil || ack.Error != nil || ack.Seq != seq {
			// JSON has no control characters in strings, the server no such names.
			if json.Valid(data) {
				t.Errorf("%s: %d, not %d: %v, %v", data, seq, ack.Seq, ack.Error, err)
			}
		}
	})
}

// TestPlainSequence: the usual confirmation is read so, and nothing else.
func TestPlainSequence(t *testing.T) {
	for data, want := range map[string]uint64{
		`{"stream":"ITEMS","seq":7}`:                      7,
		`{"stream":"LIST","seq":123456789012345678}`:      123456789012345678,
		`{"stream":"ITEMS","seq":7,"duplicate": true}`:    0,
		`{"stream":"ITEMS","domain":"d","seq":7}`:         0,
		`{"stream":"ITEMS","seq":18446744073709551615}`:   0,
		`{"error":{"code":400},"stream":"ITEMS","seq":0}`: 0,
		`{"stream":"ITEMS","seq":7`:                       0,
		`{"stream":"I\\","seq":7}`:                        0,
		`{"stream":"I","x":"y","seq":7}`:                  0,
	} {
		if seq, ok := plainSequence([]byte(data)); seq != want || ok != (want > 0) {
			t.Errorf("%s: %d, %v; want %d", data, seq, ok, want)
		}
	}
}
