// Validates what the deployment files say with the code of the programs that will read them:
//
//	validate compose FILE [ENV_FILE…]  prints the project as `docker compose config --format json` would, by its own loader
//	validate dockerfile FILE           prints what `docker build --check` would warn of
//	validate kubernetes FOLDER…        builds each kustomization and checks every object as the API server does
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) >= 2 {
		switch args[0] {
		case "compose":
			return compose(args[1], args[2:])
		case "dockerfile":
			return dockerfile(args[1])
		case "kubernetes":
			return kubernetes(args[1:])
		}
	}
	return fmt.Errorf("usage: validate compose FILE [ENV_FILE…] | validate dockerfile FILE | validate kubernetes FOLDER…")
}
