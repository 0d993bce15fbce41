"""The one impure link: plan to journal."""
