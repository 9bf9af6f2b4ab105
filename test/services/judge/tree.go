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
	origin string
	size   int64
	root   tlog.Hash
	// cosigned is the checkpoint that witnesses have seen; nil when there is none.
	cosigned *checkpoint
	leaves   []tlog.Hash
	hashes   stored
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

// checkpoint is what a signed note says of a tree.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

// openCheckpoint verifies the signature and the form. Signatures by others, of witnesses for one, are not looked at.
func openCheckpoint(message []byte, verifiers note.Verifiers) (*checkpoint, error) {
	opened, err := note.Open(message, verifiers)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return nil, fmt.Errorf("a checkpoint has three lines")
	}
	if !strings.HasPrefix(lines[0], opened.Sigs[0].Name+"/") {
		return nil, fmt.Errorf("%s did not sign for itself, but for %s", opened.Sigs[0].Name, lines[0])
	}
	c := &checkpoint{origin: lines[0]}
	if c.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.size < 0 || strconv.FormatInt(c.size, 10) != lines[1] {
		return nil, fmt.Errorf("%q is no size", lines[1])
	}
	c.root, err = tlog.ParseHash(lines[2])
	return c, err
}

// openTree verifies the checkpoint: its signature, its form, and that it is this folder's.
func openTree(folder string, verifiers note.Verifiers) (*tree, error) {
	message, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return nil, err
	}
	c, err := openCheckpoint(message, verifiers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	replica := filepath.Base(filepath.Dir(folder))
	if filepath.Base(filepath.Dir(folder)) == "trees" {
		replica = filepath.Base(filepath.Dir(filepath.Dir(folder)))
	}
	if _, own, _ := strings.Cut(c.origin, "/"); own != filepath.Base(folder)+"/"+replica {
		return nil, fmt.Errorf("%s: the checkpoint is of %s", folder, c.origin)
	}
	t := &tree{folder: folder, origin: c.origin, size: c.size, root: c.root}
	message, err = os.ReadFile(filepath.Join(folder, "cosigned"))
	if os.IsNotExist(err) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	if t.cosigned, err = openCheckpoint(message, verifiers); err != nil {
		return nil, fmt.Errorf("%s/cosigned: %w", folder, err)
	}
	if t.cosigned.origin != t.origin {
		return nil, fmt.Errorf("%s/cosigned is of %s", folder, t.cosigned.origin)
	}
	return t, nil
}

// goesOnFrom checks that the tree once was what a checkpoint says. Only after check.
func (t *tree) goesOnFrom(file string, c *checkpoint) error {
	if c.size > t.size {
		return fmt.Errorf("%s: %d leaves were signed, now there are %d", file, c.size, t.size)
	}
	root, err := tlog.TreeHash(c.size, t.hashes)
	if err != nil {
		return err
	}
	if root != c.root {
		return fmt.Errorf("%s: the root of %d leaves is %v, %v was signed", file, c.size, root, c.root)
	}
	return nil
}

// check calculates the whole tree from its leaves and compares the root with it.
func (t *tree) check(leaves func() ([]tlog.Hash, error)) error {
	var err error
	if t.leaves, err = leaves(); err != nil {
		return fmt.Errorf("%s: %w", t.folder, err)
	}
	signed := t.leaves
	t.leaves = nil
	for _, leaf := range signed {
		if err := t.grow(leaf); err != nil {
			return err
		}
	}
	root, err := tlog.TreeHash(t.size, t.hashes)
	if err != nil {
		return err
	}
	if root != t.root {
		return fmt.Errorf("%s: the root of %d leaves is %v, %v was signed", t.folder, t.size, root, t.root)
	}
	if t.cosigned != nil {
		return t.goesOnFrom(t.folder+"/cosigned", t.cosigned)
	}
	return nil
}

// grow adds a leaf that no checkpoint covers yet: its tiles may be there already.
func (t *tree) grow(leaf tlog.Hash) error {
	more, err := tlog.StoredHashesForRecordHash(int64(len(t.leaves)), leaf, t.hashes)
	t.leaves = append(t.leaves, leaf)
	t.hashes = append(t.hashes, more...)
	return err
}

// checkDisk compares every file with what was calculated. Only after check and after all leaves are known.
func (t *tree) checkDisk() error {
	if err := t.checkFiles(); err != nil {
		return fmt.Errorf("%s: %w", t.folder, err)
	}
	if err := t.checkWhole(); err != nil {
		return fmt.Errorf("%s: %w", t.folder, err)
	}
	return t.checkProofs()
}

// checkFiles compares every file: an upper tile can be wrong though the root is right, and the other way round.
func (t *tree) checkFiles() error {
	return filepath.WalkDir(t.folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		name, err := filepath.Rel(t.folder, path)
		if err != nil || name == "checkpoint" || name == "cosigned" {
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

// checkWhole looks for every hash tile that a tree of this size has.
func (t *tree) checkWhole() error {
	for level, nodes := 0, t.size; nodes > 0; level, nodes = level+1, nodes>>height {
		for n := int64(0); n<<height < nodes; n++ {
			width := nodes - n<<height
			if width > 1<<height {
				width = 1 << height
			}
			if _, err := t.readTile(tlog.Tile{H: height, L: level, N: n, W: int(width)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tree) checkBundle(tile tlog.Tile, bundle []byte) error {
	entries, err := split(bundle)
	if err != nil {
		return err
	}
	first := tile.N << height
	if len(entries) != tile.W || first+int64(tile.W) > int64(len(t.leaves)) {
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

// checkProofs asks for inclusion of some leaves and consistency with some smaller trees, the way a client would that
// knows only the checkpoint.
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
