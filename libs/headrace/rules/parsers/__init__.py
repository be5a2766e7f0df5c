"""What the files say, each as one parser; and what several of them say together, as combiners."""
