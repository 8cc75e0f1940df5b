"""Pure accounting: which transfers a sale, a return or a correction is made of."""
