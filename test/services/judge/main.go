// Judge reads the audit log of one replica with nothing but its public key, and with none of the gateway's code: the
// note, tree and tile code is that of the Go checksum database (golang.org/x/mod/sumdb). It says "good" and what it
// looked at, or "bad" and what does not hold.
//
// Usage: judge AUDIT/REPLICA audit.pub [CHECKPOINT...]
//
// A checkpoint that somebody kept elsewhere shows whether the log still contains what it had signed then.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // tiles of 256 hashes

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: judge AUDIT/REPLICA audit.pub [CHECKPOINT...]")
		os.Exit(2)
	}
	said, err := judge(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Println("bad:", err)
		os.Exit(1)
	}
	fmt.Println("good:", said)
}

func judge(replica, keyFile string, kept []string) (string, error) {
	verifiers, err := readVerifiers(keyFile)
	if err != nil {
		return "", err
	}
	items, err := os.ReadDir(replica)
	if err != nil {
		return "", err
	}
	for _, item := range items {
		if name := item.Name(); name != "journal" && name != "segments" && name != "trees" {
			return "", fmt.Errorf("%s does not belong there", name)
		}
	}
	journal, err := openTree(filepath.Join(replica, "journal"), verifiers)
	if err != nil {
		return "", err
	}
	if err := journal.check(journal.leavesOfTiles); err != nil {
		return "", err
	}
	items, err = os.ReadDir(filepath.Join(replica, "trees"))
	if err != nil {
		return "", err
	}
	var trees []*tree
	for _, item := range items {
		t, err := openTree(filepath.Join(replica, "trees", item.Name()), verifiers)
		if err != nil {
			return "", err
		}
		if err := t.check(t.leavesOfEntries); err != nil {
			return "", err
		}
		trees = append(trees, t)
	}
	if err := journal.interleaves(trees); err != nil {
		return "", err
	}
	records, err := readRecords(filepath.Join(replica, "segments"), journal, trees)
	if err != nil {
		return "", err
	}
	for _, t := range append(trees, journal) {
		if err := t.checkDisk(); err != nil {
			return "", err
		}
	}
	for _, file := range kept {
		if err := contains(append(trees, journal), file, verifiers); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d entries in %d trees, %d proofs, %d sealed parts, %d records not signed yet",
		journal.size, len(trees), proofs, records.sealed, records.count-journal.size), nil
}

func readVerifiers(file string) (note.Verifiers, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []note.Verifier
	for _, line := range strings.Fields(string(text)) {
		verifier, err := note.NewVerifier(line)
		if err != nil {
			return nil, err
		}
		list = append(list, verifier)
	}
	return note.VerifierList(list...), nil
}

// interleaves checks that the journal is made of the trees' leaves, each in its order, none missing, none added. Its
// leaf is SHA-256(0x00, index, tag of the tree, leaf of the tree). A tree is signed before the journal: it may be ahead.
func (t *tree) interleaves(trees []*tree) error {
	next := make([]int, len(trees))
	for i, leaf := range t.leaves {
		found := false
		for k, other := range trees {
			if next[k] == len(other.leaves) {
				continue
			}
			bound, err := journalLeaf(int64(i), filepath.Base(other.folder), other.leaves[next[k]])
			if err != nil {
				return err
			}
			if bound == leaf {
				next[k]++
				found = true
				break
			}
		}
		if !found {
			return fmt.Errorf("journal leaf %d is the next leaf of no tree", i)
		}
	}
	return nil
}

func journalLeaf(index int64, tag string, leaf tlog.Hash) (tlog.Hash, error) {
	bytes, err := hex.DecodeString(tag)
	bound := append(binary.BigEndian.AppendUint64([]byte{0}, uint64(index)), bytes...)
	return sha256.Sum256(append(bound, leaf[:]...)), err
}

// contains checks that the log goes on from a checkpoint that was kept elsewhere.
func contains(trees []*tree, file string, verifiers note.Verifiers) error {
	message, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	kept, err := openCheckpoint(message, verifiers)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, t := range trees {
		if t.origin == kept.origin {
			return t.goesOnFrom(file, kept)
		}
	}
	return fmt.Errorf("%s: the log has no tree %s", file, kept.origin)
}
