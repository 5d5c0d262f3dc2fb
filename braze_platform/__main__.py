"""`python -m braze_platform`: the same as the command `braze-platform`."""

from braze_platform.cli import main

if __name__ == "__main__":
    main()
