package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tree is one folder with a checkpoint and tiles. What it holds is trusted only after check.
type tree struct {
	folder string
	size   int64
	root   tlog.Hash
	leaves []tlog.Hash
	hashes stored
}

// stored holds every hash of a tree in the order of tlog, calculated by us.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, i := range indexes {
		if i < 0 || i >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is not there", i)
		}
		hashes = append(hashes, s[i])
	}
	return hashes, nil
}

// openTree verifies the checkpoint: its signature, its form, and that it is this folder's.
func openTree(folder string, verifiers note.Verifiers) (*tree, error) {
	message, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return nil, err
	}
	opened, err := note.Open(message, verifiers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return nil, fmt.Errorf("%s: a checkpoint has three lines", folder)
	}
	replica := filepath.Base(filepath.Dir(folder))
	if filepath.Base(filepath.Dir(folder)) == "trees" {
		replica = filepath.Base(filepath.Dir(filepath.Dir(folder)))
	}
	if want := opened.Sigs[0].Name + "/" + filepath.Base(folder) + "/" + replica; lines[0] != want {
		return nil, fmt.Errorf("%s: the checkpoint is of %s, not of %s", folder, lines[0], want)
	}
	t := &tree{folder: folder}
	if t.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return nil, err
	}
	t.root, err = tlog.ParseHash(lines[2])
	return t, err
}

// check calculates the whole tree from its leaves and compares root and every file with it, then asks for proofs the
// way a client would that knows only the checkpoint.
func (t *tree) check(leaves func() ([]tlog.Hash, error)) error {
	var err error
	if t.leaves, err = leaves(); err != nil {
		return fmt.Errorf("%s: %w", t.folder, err)
	}
	for i, leaf := range t.leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, t.hashes)
		if err != nil {
			return err
		}
		t.hashes = append(t.hashes, more...)
	}
	root, err := tlog.TreeHash(t.size, t.hashes)
	if err != nil {
		return err
	}
	if root != t.root {
		return fmt.Errorf("%s: the root of %d leaves is %v, %v was signed", t.folder, t.size, root, t.root)
	}
	if err := t.checkFiles(); err != nil {
		return fmt.Errorf("%s: %w", t.folder, err)
	}
	return t.checkProofs()
}

// checkFiles compares every file: an upper tile can be wrong though the root is right, and the other way round.
func (t *tree) checkFiles() error {
	return filepath.WalkDir(t.folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() || path == filepath.Join(t.folder, "checkpoint") {
			return err
		}
		name, err := filepath.Rel(t.folder, path)
		if err != nil {
			return err
		}
		tile, err := tlog.ParseTilePath(strings.Replace(strings.Replace(name, "tile/", "tile/8/", 1), "/entries/", "/data/", 1))
		if err != nil {
			return fmt.Errorf("%s does not belong there", name)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if tile.L == -1 {
			return t.checkBundle(tile, got)
		}
		want, err := tlog.ReadTileData(tile, t.hashes)
		if err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("%s does not follow from the entries (%v)", name, err)
		}
		return nil
	})
}

func (t *tree) checkBundle(tile tlog.Tile, bundle []byte) error {
	entries, err := split(bundle)
	if err != nil {
		return err
	}
	first := tile.N << height
	if len(entries) != tile.W || first+int64(tile.W) > t.size {
		return fmt.Errorf("bundle %d of width %d has %d entries", tile.N, tile.W, len(entries))
	}
	for i, entry := range entries {
		if tlog.RecordHash(entry) != t.leaves[first+int64(i)] {
			return fmt.Errorf("bundle %d of width %d has another entry %d", tile.N, tile.W, i)
		}
	}
	return nil
}

var proofs int

// checkProofs asks for inclusion of some leaves and consistency with some smaller trees.
func (t *tree) checkProofs() error {
	if t.size == 0 {
		return nil
	}
	client := tlog.TileHashReader(tlog.Tree{N: t.size, Hash: t.root}, (*tiles)(t))
	for i := int64(0); i < t.size; i += t.size/50 + 1 {
		proof, err := tlog.ProveRecord(t.size, i, client)
		if err == nil {
			err = tlog.CheckRecord(proof, t.size, t.root, i, t.leaves[i])
		}
		if err != nil {
			return fmt.Errorf("%s: leaf %d: %w", t.folder, i, err)
		}
		old, err := tlog.TreeHash(i+1, t.hashes)
		if err != nil {
			return err
		}
		grown, err := tlog.ProveTree(t.size, i+1, client)
		if err == nil {
			err = tlog.CheckTree(grown, t.size, t.root, i+1, old)
		}
		if err != nil {
			return fmt.Errorf("%s: from %d leaves: %w", t.folder, i+1, err)
		}
		proofs += 2
	}
	return nil
}
