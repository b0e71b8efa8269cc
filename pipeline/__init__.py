"""cellscope: record every state of a recurrent network, and measure its units."""
