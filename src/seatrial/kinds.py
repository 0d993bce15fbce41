"""The visible tables: name -> constructor. No registration on import; grep finds everything here."""
