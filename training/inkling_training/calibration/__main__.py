"""`python -m inkling_training.calibration`: see `calibrate`."""

from inkling_training.calibration.calibrate import main

if __name__ == "__main__":
    main()
