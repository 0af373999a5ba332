// SPDX-License-Identifier: Apache-2.0

package console

import (
	"io/fs"
	"testing"
)

// maxAssets is how many bytes the files of the pages may have: what a browser is sent, which is also what is
// written, since there is no build step.
const maxAssets = 60 << 10

// TestAssetsAreSmall: all files of the pages together stay below their limit. One that is over it has repetition to be cut,
// or shows what nobody needs.
func TestAssetsAreSmall(t *testing.T) {
	size := int64(0)
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", size)
	if size == 0 || size > maxAssets {
		t.Errorf("the files have %d bytes, and may have %d", size, maxAssets)
	}
}
