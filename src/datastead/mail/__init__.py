"""Mail: what a message is, how it is written, and the ways it goes."""

from datastead.mail.mailer import Mailer as Mailer
from datastead.mail.message import Mail as Mail
from datastead.mail.message import addresses as addresses
