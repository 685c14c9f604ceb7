"""What the stage that warns is made of: what a zone faces, when that is worth an alarm, and the words for it."""
