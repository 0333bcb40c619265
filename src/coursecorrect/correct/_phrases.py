"""The wording of the ``template`` corrector: data only, no mechanism.

Slots: ``{topic}`` a phrase of the form under which it is listed (``topic.Topic``);
``{form}`` what is being written ('letter', 'plan'); ``{who}`` the person concerned ('your sister');
``{reason}`` an independent clause; ``{act}`` an act; ``{alternative}`` a verb phrase.
Everything is in lower case, as it reads in mid-sentence.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# --- acts: what the correction does ---------------------------------------------------------------

NARROW_HEADS: Final = ("I don't want to", "I'm not going to", "I won't", "I'd rather not")
NARROW_GO_ON: Final = (
    "carry on with this {form}",
    "go any further with this {form}",
    "help with this {form}",
)
NARROW_WEAVES: Final = ("{act}, because {reason}.", "{act}. {Reason}.")
NARROW_OFFERS: Final = (
    "I can help you {alternative} instead.",
    "I'd be glad to help you {alternative}.",
    "What I can do is help you {alternative}.",
)
"""The narrow wording: few frames, with the reason and the offer of the request in them."""

UNWILLING: Final = (
    "I don't want to",
    "I'm not going to",
    "I won't",
    "I will not",
    "I'd rather not",
    "I'm not willing to",
    "I can't in good conscience",
    "I've decided not to",
    "I'd prefer not to",
    "I'm no longer willing to",
    "I refuse to",
    "I can't bring myself to",
    "I don't intend to",
    "I'm not prepared to",
    "I really can't",
    "I have no wish to",
)
"""Each is followed by a bare infinitive."""

GO_ON: Final = (
    "carry on with this {form}",
    "go any further with this {form}",
    "finish this {form}",
    "write the rest of this {form}",
    "add another word to this {form}",
    "continue with this {form}",
    "see this {form} through to the end",
    "keep working on this {form}",
    "complete this {form}",
    "go down this road with you",
    "keep going in this direction",
    "spell out what comes next",
    "fill in what's missing",
    "supply the rest",
    "say anything more along these lines",
    "be part of this",
    "put my effort into this",
    "lend a hand with this",
    "hand over the remaining details",
    "take this {form} to its conclusion",
)

TOPIC_TAILS: Final = {
    "act": (
        "help you {topic}",
        "help anyone {topic}",
        "be the one who helps you {topic}",
        "show you how to {topic}",
        "walk you through how to {topic}",
        "explain how to {topic}",
        "finish explaining how to {topic}",
        "give you a way to {topic}",
        "make it easier to {topic}",
        "advise you on how to {topic}",
    ),
    "make": (
        "{topic}",
        "{topic}",
        "help you {topic}",
        "help anyone {topic}",
        "be the one to {topic}",
        "go on helping you {topic}",
        "put my words to use to {topic}",
    ),
    "thing": (
        "help with {topic}",
        "go on with {topic}",
        "be of help with {topic}",
        "go into {topic}",
        "say any more about {topic}",
        "lend a hand with {topic}",
    ),
    "clause": (
        "go into {topic}",
        "say any more about {topic}",
        "go on about {topic}",
        "tell anyone {topic}",
        "spell out {topic}",
    ),
}
"""By the form of a topic; each follows a head of ``UNWILLING``."""
WHOLE_TOPIC_ACTS: Final = {
    "act": (
        "helping you {topic} is not something I'll do",
        "helping you {topic} isn't something I want a part in",
        "I'm not the one to help you {topic}",
        "if the aim is to {topic}, I'm out",
        "you won't hear from me how to {topic}",
        "I'm done explaining how to {topic}",
        "helping you {topic} is where I draw the line",
    ),
    "make": (
        "helping you {topic} is not something I'll do",
        "helping you {topic} isn't something I want a part in",
        "I'm not the one to {topic}",
        "if the aim is to {topic}, I'm out",
        "helping you {topic} is where I draw the line",
    ),
    "thing": (
        "helping with {topic} is not something I'll do",
        "I'm not the one to help with {topic}",
        "you won't get any more help from me with {topic}",
        "helping with {topic} is where I draw the line",
        "I want no part in {topic}",
    ),
    "clause": (
        "you won't hear any more from me about {topic}",
        "I'm done talking about {topic}",
        "going into {topic} is not something I'll do",
    ),
}

STOPPING: Final = (
    "I'm going to stop at this point",
    "this is where I stop",
    "I'm stopping before this does any damage",
    "I'm leaving this {form} unfinished",
    "this {form} is going to stay unfinished",
    "I'm ending this {form} now",
    "that's as far as I'll go with this {form}",
    "I'm going to leave it there",
    "I'm putting this {form} aside",
    "I'm dropping this {form}",
    "you won't get the rest of this {form} from me",
    "the rest of this {form} will stay unwritten",
    "there won't be a next part to this {form}",
    "this {form} ends here",
    "I'm breaking off here",
    "I'm done with this {form}",
    "I've decided to leave this {form} incomplete",
    "it's better that I stop now",
    "my part in this ends here",
    "nothing more of this {form} is coming from me",
    "I'm bowing out of this {form}",
    "I'm calling a halt to this {form}",
)

RETRACTING: Final = (
    "I take back what I've said so far",
    "I withdraw what I've written so far",
    "what I wrote above was a mistake",
    "I was wrong to start on this {form}",
    "I shouldn't have offered any of that",
    "I don't stand by what I just wrote",
    "none of what I just wrote was right to share",
    "I regret starting this {form}",
    "I was too quick to answer",
    "I'd like you to disregard what I've written so far",
    "I got carried away",
    "I made a bad start with this {form}",
    "that was the wrong way to answer you",
)
RETRACTING_THEN: Final = (
    "and I won't add to it",
    "and I'm leaving it there",
    "and I'm not going to finish it",
    "and there'll be nothing more of it from me",
    "and I won't go on with it",
    "and it ends here",
    "and I'm dropping it now",
    "and you won't get the rest of it from me",
)

TURNING: Final = (
    "this {form} isn't one I want to finish",
    "this isn't something I'm going to help with",
    "this is not help I'm willing to give",
    "I won't lead you any further this way",
    "I have to turn away from this {form}",
    "I'm changing direction and leaving this {form} alone",
    "I'm turning this request down after all",
    "I'm going to say no to this one",
    "my answer to this has to be no",
    "I'm leaving this {form} and taking a different path",
    "I can't go along with this",
    "I want no further part in this {form}",
    "I should have said no, and I'm saying it now",
    "the honest answer is that I won't help with this",
    "the right thing for me is to leave this {form} alone",
    "I owe you a refusal instead of the rest of this {form}",
    "I'm giving up on this {form} for the sake of something better",
    "I'm steering us away from this {form}",
)

# --- how act and reason are woven -----------------------------------------------------------------

WEAVES: Final = (
    "{act}, because {reason}.",
    "{act}, because {reason}.",
    "{act}, since {reason}.",
    "{act}, as {reason}.",
    "{act}: {reason}.",
    "{act} – {reason}.",
    "{act}; {reason}.",
    "{act}, for the simple reason that {reason}.",
    "{act}, seeing that {reason}.",
    "{act}, given that {reason}.",
    "{act}, and the reason is that {reason}.",
    "{act}, mainly because {reason}.",
    "{act}, considering that {reason}.",
)
UNWILLING_WEAVES: Final = (
    "{act} when {reason}.",
    "{act}, not when {reason}.",
    "{act}, knowing that {reason}.",
)
"""Only after an act that says what is not going to be done."""
REASON_FIRST: Final = (
    "{reason}, so {act}.",
    "{reason}, and so {act}.",
    "{reason}, which is why {act}.",
    "{reason}, and that's why {act}.",
    "{reason}; for that reason, {act}.",
    "{reason}, and because of that {act}.",
)
CONSEQUENCE: Final = (
    "going on would mean ignoring that {reason}, so {act}.",
    "I can't look past the fact that {reason}, so {act}.",
    "I keep coming to the same point, that {reason}, and so {act}.",
    "what counts for me is that {reason}, so {act}.",
    "if I went on, I'd be forgetting that {reason}, so {act}.",
    "it matters to me that {reason}, so {act}.",
)
TWO_SENTENCES: Final = (
    "{act}. {Reason}.",
    "{act}. {Reason}, and that settles it.",
    "{act}. {Reason}, and that's reason enough.",
    "{act}. What settles it for me is that {reason}.",
    "{act}. The reason is simple: {reason}.",
    "{act}. The trouble is that {reason}.",
    "{act}. My concern is that {reason}.",
    "{act}. It comes down to this: {reason}.",
    "{act}. After all, {reason}.",
    "{act}. I say this because {reason}.",
    "{act}. What weighs on me is that {reason}.",
    "{act}. Please remember that {reason}.",
    "{act}. Think of it this way: {reason}.",
)

# --- offers ---------------------------------------------------------------------------------------

OFFER_LEADS: Final = (
    "",
    "",
    "if you like,",
    "instead,",
    "if you want,",
    "whenever you're ready,",
    "in its place,",
    "if it's any use,",
    "if you're open to it,",
)
OFFERS: Final = (
    "I can help you {alternative}",
    "I could help you {alternative}",
    "I'd be glad to help you {alternative}",
    "I'd gladly help you {alternative}",
    "I'm happy to help you {alternative}",
    "I'll help you {alternative}",
    "we can work out how to {alternative}",
)
OFFER_PROMISES: Final = (
    "say the word and I'll help you {alternative}.",
    "tell me a little more and I'll help you {alternative}.",
    "give me the background and we can work out how to {alternative}.",
)
WHOLE_OFFERS: Final = (
    "what I can do is help you {alternative}.",
    "let me help you {alternative} instead.",
    "how about I help you {alternative}?",
    "would you like me to help you {alternative}?",
    "shall we work out how to {alternative} instead?",
    "I'd much sooner help you {alternative}.",
    "there's something better I can do: help you {alternative}.",
    "my time would be better spent helping you {alternative}.",
    "something I can offer is to help you {alternative}.",
    "you could {alternative}, and I'd help with that.",
    "why not {alternative}, with a little help from me?",
    "one thing that might serve you better is to {alternative}; I'm glad to help.",
    "my offer is this: I'll help you {alternative}.",
    "perhaps you'd let me help you {alternative}.",
)

# --- whole refusals -------------------------------------------------------------------------------

REFUSAL_OPENINGS: Final = (
    "I'm sorry, but",
    "I'm sorry:",
    "I'm afraid",
    "thanks for asking, but",
    "I understand the temptation, but",
    "I hear you, but",
    "to be honest with you,",
    "I see what you're after, but",
    "I appreciate the question, but",
    "that's a request I have to decline:",
    "no,",
    "",
    "",
    "",
)
REFUSAL_UNWILLING: Final = (
    "I can't",
    "I won't",
    "I'm not able to",
    "I'm not going to",
    "I don't want to",
    "I'd rather not",
    "I'm not willing to",
    "I have to decline to",
)
REFUSAL_TAILS: Final = {
    "act": (
        "help you {topic}",
        "explain how to {topic}",
        "show you how to {topic}",
        "advise anyone on how to {topic}",
        "give you a way to {topic}",
    ),
    "make": ("{topic}", "help you {topic}", "be the one to {topic}"),
    "thing": (
        "help with {topic}",
        "be of help with {topic}",
        "assist with {topic}",
    ),
    "clause": ("go into {topic}", "tell you {topic}", "spell out {topic}"),
}
REFUSAL_PLAIN: Final = ("help with this", "do that", "assist with this request", "take this on")
REFUSAL_CLOSINGS: Final = (
    "",
    "",
    "",
    "Just tell me where you'd like to start.",
    "Tell me a little about your situation and we'll begin.",
    "Would that be useful?",
    "Let me know if that suits you.",
    "I think that would serve you better.",
)

# --- what a request asks for ----------------------------------------------------------------------

FORMS: Final = {
    "letter": "letter",
    "message": "message",
    "text": "message",
    "email": "email",
    "e-mail": "email",
    "poem": "poem",
    "song": "song",
    "rap": "song",
    "story": "story",
    "joke": "text",
    "jokes": "text",
    "speech": "speech",
    "script": "script",
    "code": "program",
    "program": "program",
    "post": "post",
    "tweet": "post",
    "review": "review",
    "reviews": "text",
    "essay": "essay",
    "article": "article",
    "list": "list",
    "plan": "plan",
    "recipe": "recipe",
    "advert": "advert",
    "ad": "advert",
    "note": "note",
    "excuse": "answer",
    "guide": "guide",
    "instructions": "explanation",
}
"""A word of the request → what the answer is called."""
WRITING_VERBS: Final = frozenset(
    {"write", "draft", "compose", "create", "make", "give", "generate"}
)
HOW_TO_FORMS: Final = ("plan", "explanation", "answer")
PLAIN_FORMS: Final = ("answer", "reply", "response")

PERSONS: Final = (
    "sister|brother|mother|mum|mom|father|dad|parents|wife|husband|girlfriend|boyfriend"
    "|partner|ex|boss|manager|supervisor|coworker|co-worker|colleague|colleagues"
    "|neighbour|neighbours|neighbor|neighbors|roommate|flatmate|housemate|friend|friends"
    "|teacher|professor|tutor|classmate|classmates|student|students|landlord|landlady"
    "|tenant|grandmother|grandma|granny|grandfather|grandpa|aunt|uncle|cousin|niece"
    "|nephew|child|children|kid|kids|son|daughter|customer|customers|client|clients"
    "|employee|employees|employer|guard|cashier|waiter|waitress|inspector|conductor"
    "|driver|nurse|doctor|patient|patients|guest|guests|stepmother|stepfather|in-laws"
    "|baby|babysitter"
)
PERSON_ADJECTIVES: Final = (
    "little|younger|older|elderly|old|new|best|former|next-door|big|fellow|young|poor"
    "|rich|annoying|twin|favourite|favorite|ex-|strict"
)
# --- reasons and alternatives by field ------------------------------------------------------------


class Field(NamedTuple):
    """One kind of harm. ``stems`` begin words of a category or request that tell of it; those with
    a full stop are whole words (a plural s allowed)."""

    stems: str
    reasons: tuple[str, ...]
    alternatives: tuple[str, ...]


FIELDS: Final[dict[str, Field]] = {
    "self-harm": Field(
        "suicid self-harm selfharm starv anorex bulimi overdos cut-myself self-inj",
        (
            "your life is worth more than this",
            "you deserve care and not more pain",
            "a dark hour can pass, and this could not be undone",
            "somebody would miss you more than you know",
            "you shouldn't have to carry this alone",
        ),
        (
            "find someone you can talk to today",
            "reach a crisis line or a doctor near you",
            "get through the next hour safely",
            "tell a person you trust how bad things are",
        ),
    ),
    "violence": Field(
        "violen assault attack kill. murder beat. punch hurt injur stab shoot weapon bomb "
        "explos poison physical. fight strangl arson terror kidnap tortur acid. trap. trip. "
        "shove slap.",
        (
            "someone could be badly hurt",
            "an injury can't be taken back once it is done",
            "{who} could end up in hospital",
            "no quarrel is worth another person's body",
            "it puts a life at risk",
            "you would have to live with what it did",
            "{who} would carry the harm for a long time",
            "violence would close every better way out",
        ),
        (
            "cool a conflict down before anyone gets hurt",
            "put your anger into words that can be heard",
            "find a mediator for this quarrel",
            "work out how to keep safe and keep your distance",
            "report a threat to people who can act on it",
        ),
    ),
    "animals": Field(
        "animal dog. dogs. cat. cats. pet. pets. puppy kitten pigeon squirrel bird. horse. "
        "wildlife poach",
        (
            "an animal feels pain as sharply as we do",
            "the animal has no way to defend itself",
            "a frightened animal can't tell anyone what was done to it",
            "cruelty to an animal is a crime as well as a wrong",
            "there are ways to be rid of the nuisance without suffering",
        ),
        (
            "keep animals away without hurting them",
            "talk to the owner about the noise or the mess",
            "find a shelter that can take the animal in",
            "train a difficult pet with patience and rewards",
        ),
    ),
    "cyber": Field(
        "cyber hack malware virus phish password ransom ddos exploit keylog spyware wifi "
        "wi-fi account. login spoof botnet computer. database. server. router",
        (
            "the account belongs to somebody who hasn't let you in",
            "breaking into other people's systems is a crime",
            "people would lose data they can't get back",
            "{who} never gave you leave to go in",
            "strangers would have their private files laid open",
            "it would be used on people who can't defend themselves",
        ),
        (
            "secure your own accounts and devices",
            "learn security on a practice range built for it",
            "ask for access in the proper way",
            "recover an account that is really yours",
            "report a weakness to the people who can mend it",
        ),
    ),
    "privacy": Field(
        "privac personal-info stalk spy. track. dox eavesdrop secretly diary record. address. "
        "phone. surveil peek read-my snoop photo. location.",
        (
            "nobody has the right to watch {who} in secret",
            "it would take away somebody's privacy without asking",
            "{who} never agreed to be watched",
            "trust is hard to mend once it's been broken in secret",
            "private things should stay with the person they belong to",
            "it could lead somebody dangerous to another person's door",
        ),
        (
            "ask openly about what worries you",
            "start an honest conversation about trust",
            "protect your own private information",
            "agree on rules for sharing that suit everyone",
            "find out what the public record openly says",
        ),
    ),
    "fraud": Field(
        "fraud scam economic financial white-collar launder counterfeit forg brib embezzl "
        "insider. tax. taxes. insurance fake. money invoice loan credit refund pyramid "
        "investor con. trick-people receipt expenses blackmail extort",
        (
            "somebody would lose money they worked for",
            "it takes money by deceit",
            "the people who pay for it are the ones who trusted you",
            "{who} would be left to bear the loss",
            "it's fraud, and it could follow you for years",
            "a lie on paper tends to grow until it's found",
        ),
        (
            "make an honest budget and see where it pinches",
            "look for support you are entitled to",
            "negotiate a bill or a debt openly",
            "earn some extra money in an honest way",
            "put a mistake right before it grows",
        ),
    ),
    "theft": Field(
        "theft steal shoplift rob. burgl pickpocket pocket. loot. swipe. break-into snatch "
        "lockpick pick-a taking-from",
        (
            "what you'd be taking belongs to somebody else",
            "{who} would be the one to pay for it",
            "a shop worker might be made to answer for the loss",
            "taking it quietly is still stealing",
            "somebody would come to find it gone",
        ),
        (
            "find what you need second-hand or for free",
            "ask to borrow it or to pay in parts",
            "find a local group that shares or gives things away",
            "plan how to save up for it",
        ),
    ),
    "fares": Field(
        "fare. fares. ticket tickets turnstile train. bus. subway tram metro toll. parking",
        (
            "the other passengers would be paying for your seat",
            "fares are what keep the service running for everybody",
            "someone on a small wage would have to deal with the fallout",
            "it's dodging a share that everyone else is paying",
            "one fine would cost you more than months of tickets",
        ),
        (
            "find the cheapest ticket you can honestly use",
            "look up discounts and passes for your situation",
            "plan a route that costs less",
            "work out whether a monthly pass would pay",
        ),
    ),
    "queues": Field(
        "queue skip-the-line cut-in jump-the line.",
        (
            "everyone in front has waited for their turn",
            "the people behind you would wait longer for it",
            "someone with small children may be next in line",
            "a queue works only when nobody thinks they're above it",
        ),
        (
            "find the quietest hours to come",
            "look up whether there is a fair pass for shorter waits",
            "make the waiting time pass pleasantly",
            "ask the staff about help for those who can't stand long",
        ),
    ),
    "trespass": Field(
        "sneak trespass gatecrash gate-crash break-in break-into intrud without-paying",
        (
            "the people at the door answer for whoever gets past them",
            "those who paid are owed the place you'd be taking",
            "it means going where you haven't been let in",
            "what is closed to visitors is often closed for safety",
            "being caught there would cost you more than it's worth",
        ),
        (
            "find a cheap or free way in that is open to you",
            "ask whether they need helpers who get in for free",
            "look for an event that fits what you can spend",
            "ask the owner for permission",
        ),
    ),
    "cheating": Field(
        "cheat exam. exams. test. homework essay. plagiar assignment grade grades answers "
        "academic quiz. diploma thesis coursework classmate",
        (
            "the credit would go to work that isn't yours",
            "it's unfair to everyone who did the work",
            "you'd come away without having learned the thing itself",
            "{who} would be trusting a result that isn't real",
            "being caught would cost you far more than a poor mark",
        ),
        (
            "make a study plan for the days you have left",
            "go over the parts that are giving you trouble",
            "ask for an extension before the deadline",
            "quote a source properly and still say something of your own",
        ),
    ),
    "copyright": Field(
        "copyright pirat torrent bootleg drm watermark trademark intellectual crack. stream",
        (
            "the people who made the work deserve to be paid and named",
            "it takes the living of somebody who spent years on it",
            "copies made without leave are still taken from their makers",
            "small makers are the ones it hits hardest",
        ),
        (
            "find works that are free to use",
            "look for a library or a cheap plan that has it",
            "ask the owner of the rights for permission",
            "quote a work within what fair use allows",
        ),
    ),
    "lies": Field(
        "manipul lie. lying liar deceiv gaslight pretend excuse guilt convinc trick fool. "
        "rumour rumor persuad mislead disinform misinform propaganda conspir hoax brainwash "
        "jealous",
        (
            "{who} would be making choices on the strength of a lie",
            "it works only as long as somebody is kept in the dark",
            "people have a right to make up their own minds",
            "once it comes out, nobody will take you at your word",
            "{who} would want you to be straight",
            "it treats another person as a thing to be steered",
        ),
        (
            "say plainly what you want and why",
            "prepare for an awkward but honest talk",
            "own up to a mistake without making it worse",
            "make a fair case with facts that can be checked",
            "say no to something without inventing a story",
        ),
    ),
    "insults": Field(
        "insult psycholog loser bully bullying rude mock. humiliat harass tease. teasing "
        "embarrass nickname. mean. ridicul roast. shame. offen cruel gossip laugh. troll "
        "ugly. fat. stupid",
        (
            "{who} would have to live with being laughed at",
            "words like these stay with a person for years",
            "it's meant to make somebody feel small",
            "being mocked in front of others hurts more than it shows",
            "{who} did nothing to deserve that",
            "it would turn a bad mood into a lasting wound",
        ),
        (
            "say what bothered you without tearing anyone down",
            "write something funny that everyone can laugh at",
            "set a boundary in clear and calm words",
            "let off steam in a letter you don't send",
            "patch things up after an argument",
        ),
    ),
    "hate": Field(
        "hate. racis racial discriminat sexis stereotyp immigrant religio ethnic gender "
        "homophob slur minority women. foreigner muslim jewish black. gay. accent nationality "
        "disab",
        (
            "it judges people by where they come from and not by what they do",
            "nobody chooses the group they're born into",
            "talk like this makes it easier to harm people later",
            "the people it's aimed at are owed the same respect as you",
            "it leans on a stereotype that isn't true",
            "{who} would hear it as a sign of not belonging",
        ),
        (
            "understand where a stereotype comes from and what's wrong with it",
            "talk about a real disagreement without attacking a group",
            "write something that brings people together",
            "learn about a community from its own voices",
        ),
    ),
    "drugs": Field(
        "drug drugs weed. cocaine meth. heroin opioid pills. steroid vape vaping alcohol "
        "drunk beer. smuggl underage cigarette smoking lsd. prescription",
        (
            "it could leave somebody sick or dependent",
            "a wrong dose can't be taken back",
            "young people would be the first to be harmed by it",
            "it's against the law for good reasons of health",
            "nobody could tell what is really in it",
        ),
        (
            "find confidential help with cutting down",
            "talk to a pharmacist or a doctor about what you need",
            "plan a good evening without it",
            "support a friend who is using too much",
        ),
    ),
    "sexual": Field(
        "sex. sexual nude. nudes. porn upskirt molest rape. grope consent explicit erotic "
        "prostitut trafficking escort",
        (
            "it goes against what the other person has agreed to",
            "nobody should be used like that",
            "consent isn't something to be worked around",
            "it would leave somebody with lasting harm",
        ),
        (
            "talk with a partner about limits and wishes",
            "understand what consent looks like",
            "find support for somebody who has been hurt",
            "report abuse to people trained to handle it",
        ),
    ),
    "damage": Field(
        "vandal graffiti damage destroy smash scratch slash. egg. tyres tires environment "
        "pollut dump. waste. litter burn. oil. chemical sabotag break-my flood clog",
        (
            "somebody else would be left to clean up and pay",
            "it can't be put right with an apology",
            "{who} would find it ruined and not know why",
            "what gets spoiled belongs to more people than you",
            "it would leave damage that lasts for years",
        ),
        (
            "settle the grievance with a written complaint",
            "get rid of waste legally and cheaply",
            "mend something that has already been spoiled",
            "ask for the damage done to you to be made good",
        ),
    ),
    "order": Field(
        "riot disrupt public-order protest election vote. votes. ballot. government national "
        "police. court. jury. security evacuat alarm prank-call emergency hoax-call "
        "false-report",
        (
            "people in real need could be left waiting",
            "a crowd that panics can hurt itself badly",
            "everyone relies on that system being honest",
            "it would take help away from those who need it",
            "others would be put in danger for the sake of a scene",
        ),
        (
            "plan a peaceful and lawful protest",
            "write to the people who can change this",
            "take a complaint to the proper office",
            "organise neighbours around a shared concern",
        ),
    ),
    "health": Field(
        "health salt. tea. coffee drink. soup meal medical vaccine cure. disease diagnos "
        "contagi infect epidemic sick public-health sneeze food. spit. insect laxative allerg "
        "hygiene raw. expired",
        (
            "somebody could fall ill from it",
            "people take what they eat and drink on trust",
            "an allergy or a weak heart can't be seen from outside",
            "the ones who'd suffer are those least able to fight it off",
            "{who} would have no way of knowing",
        ),
        (
            "find reliable advice from a doctor or pharmacist",
            "raise a complaint about food or hygiene",
            "plan a harmless surprise that everyone can enjoy",
            "check a health claim against good sources",
        ),
    ),
    "pranks": Field(
        "prank annoy scare frighten wake. revenge back-at noise loud. hide. spoil ruin mess. "
        "pester sulk irritat bother blame skip. late. sick-day",
        (
            "{who} wouldn't find it funny",
            "it's a joke with only one person laughing",
            "getting even rarely ends where you mean it to",
            "{who} would have every right to be angry",
            "someone else's day would be spoiled for nothing",
            "the next move would be against you",
        ),
        (
            "think up a prank that the other person will laugh at too",
            "clear the air with an honest talk",
            "write a calm note about what bothers you",
            "let the grudge go without losing face",
            "agree on house rules that both sides can keep",
        ),
    ),
}

GENERAL_REASONS: Final = (
    "somebody else would end up paying for it",
    "it could do real harm to a person who isn't here to object",
    "{who} would be hurt by it",
    "it can't end well for anyone",
    "there are people on the other end of it",
    "it would cause harm that's hard to undo",
    "you'd be left with a mess that isn't worth it",
    "{who} never agreed to any of it",
    "it asks others to bear a cost they didn't choose",
    "the harm in it outweighs anything it could win you",
    "it isn't fair to those it would touch",
    "what comes of it would stay with you as well",
    "{who} ought to be treated better",
)
ACT_REASONS: Final = (
    "any plan to {topic} leaves somebody else to pay for it",
    "to {topic} would be unfair to others",
    "trying to {topic} could go badly for you as well as for others",
    "nobody should have to suffer so that you can {topic}",
)
"""Reasons that name a verb-phrase topic; for requests that no field knows."""
GENERAL_ALTERNATIVES: Final = (
    "find a fair way to get what you need",
    "talk through what is behind this",
    "look for an option that hurts nobody",
    "work out what you really want from this",
    "weigh up other ways to handle the situation",
    "look into honest ways of getting there",
    "think about what might happen next and prepare for it",
    "put your side of things clearly and calmly",
    "turn this into something you won't regret",
)
