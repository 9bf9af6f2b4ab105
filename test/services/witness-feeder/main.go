// Feeder is a log that is no part of this project: tree, proofs and notes are those of the Go checksum database
// (golang.org/x/mod/sumdb), cosignatures are read by torchwood. It shows its checkpoints to a witness, honest ones and
// others, and says what the witness answered.
//
// Usage: feeder feed URL WITNESS-VKEY SKEY ORIGIN     a growing log, then a fork, an old size, a wrong proof
//
//	feeder open LOG-VKEY WITNESS-VKEY FILE       opens a note that must bear both signatures
package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("bad:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 5 && args[0] == "feed":
		return feed(args[1], args[2], args[3], args[4])
	case len(args) == 4 && args[0] == "open":
		return open(args[1], args[2], args[3])
	}
	return fmt.Errorf("usage: feeder feed URL WITNESS-VKEY SKEY ORIGIN | open LOG-VKEY WITNESS-VKEY FILE")
}

func open(logKey, witnessKey, file string) error {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	witness, err := torchwood.NewCosignatureVerifier(witnessKey)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	opened, err := note.Open(text, note.VerifierList(log, witness))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != 2 || len(opened.UnverifiedSigs) != 0 {
		return fmt.Errorf("%d known signatures, %d unknown ones", len(opened.Sigs), len(opened.UnverifiedSigs))
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	fmt.Println("good:", checkpoint.Origin, checkpoint.N)
	return nil
}

// tree keeps all its hashes, in the order in which tlog stores them.
type tree struct {
	hashes []tlog.Hash
	size   int64
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = t.hashes[index]
	}
	return hashes, nil
}

func (t *tree) grow(to int64, prefix string) error {
	for ; t.size < to; t.size++ {
		hashes, err := tlog.StoredHashes(t.size, []byte(fmt.Sprintf("%s%d", prefix, t.size)), t)
		if err != nil {
			return err
		}
		t.hashes = append(t.hashes, hashes...)
	}
	return nil
}

type feeder struct {
	url, origin string
	signer      note.Signer
	witness     note.Verifier
}

func feed(url, witnessKey, secret, origin string) error {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	witness, err := torchwood.NewCosignatureVerifier(witnessKey)
	if err != nil {
		return err
	}
	f := &feeder{url: url, origin: origin, signer: signer, witness: witness}
	honest := &tree{}
	var old int64
	for _, size := range []int64{1, 2, 5, 8, 255, 256, 257, 1000} {
		if err := honest.grow(size, ""); err != nil {
			return err
		}
		if err := f.show(honest, old, old, http.StatusOK); err != nil {
			return err
		}
		old = size
	}
	fork := &tree{}
	if err := fork.grow(700, ""); err != nil {
		return err
	}
	if err := fork.grow(1200, "other "); err != nil {
		return err
	}
	if err := f.show(fork, 1000, 1000, http.StatusUnprocessableEntity); err != nil {
		return err
	}
	if err := honest.grow(1300, ""); err != nil {
		return err
	}
	if err := f.show(honest, 1000, 999, http.StatusUnprocessableEntity); err != nil {
		return err
	}
	if err := f.show(honest, 257, 257, http.StatusConflict); err != nil {
		return err
	}
	if err := f.show(honest, 1000, 1000, http.StatusOK); err != nil {
		return err
	}
	fmt.Println("good: 9 cosigned, 3 refused")
	return nil
}

func (f *feeder) show(t *tree, old, proofFrom int64, want int) error {
	root, err := tlog.TreeHash(t.size, t)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", f.origin, t.size, root)
	signed, err := note.Sign(&note.Note{Text: text}, f.signer)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	if proofFrom > 0 {
		proof, err := tlog.ProveTree(t.size, proofFrom, t)
		if err != nil {
			return err
		}
		for _, hash := range proof {
			fmt.Fprintln(&body, base64.StdEncoding.EncodeToString(hash[:]))
		}
	}
	body.WriteString("\n")
	body.Write(signed)
	answer, err := http.Post(f.url+"/add-checkpoint", "text/plain", &body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != want {
		return fmt.Errorf("size %d from %d: %d instead of %d: %s", t.size, old, answer.StatusCode, want, said)
	}
	switch want {
	case http.StatusOK:
		opened, err := note.Open(append(signed, said...), note.VerifierList(f.witness))
		if err != nil {
			return err
		}
		if len(opened.Sigs) != 1 {
			return fmt.Errorf("%d cosignatures", len(opened.Sigs))
		}
	case http.StatusConflict:
		if string(said) != "1000\n" || answer.Header.Get("Content-Type") != "text/x.tlog.size" {
			return fmt.Errorf("409 with %q, %s", said, answer.Header.Get("Content-Type"))
		}
	}
	return nil
}
