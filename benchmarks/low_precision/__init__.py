"""False alarms on right answers in low precision, and faults seen: of our rule and of other projects' rules."""
